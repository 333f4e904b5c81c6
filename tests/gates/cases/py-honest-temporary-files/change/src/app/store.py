def save(path, text):
    path.write_text(text)
