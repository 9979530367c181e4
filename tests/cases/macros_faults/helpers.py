def year(text):
    return text[:4]


def shout(text):
    return f"{text}!"
