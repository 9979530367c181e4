def train(features):
    return features


def _helper():
    return 1
