def old():
    import os
    return 1
