select {{ params.column }} form raw
