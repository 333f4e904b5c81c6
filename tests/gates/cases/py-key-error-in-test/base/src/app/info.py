def info():
    return {"name": "app"}
