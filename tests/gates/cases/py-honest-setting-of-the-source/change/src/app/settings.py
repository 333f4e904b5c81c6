LIMIT = 5


def limit(user):
    return user.get("limit", LIMIT)
