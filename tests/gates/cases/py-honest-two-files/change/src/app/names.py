def name(text):
    return text.upper()
