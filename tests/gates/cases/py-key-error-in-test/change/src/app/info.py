def info():
    return {"name": "app", "version": "1"}
