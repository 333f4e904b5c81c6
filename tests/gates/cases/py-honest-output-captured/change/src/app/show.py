def show(a):
    print(a)
