import app

assert app.double(2) == 4
