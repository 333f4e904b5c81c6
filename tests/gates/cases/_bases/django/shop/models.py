from django.db import models


class Item(models.Model):
    id = models.AutoField(primary_key=True)
    price = models.IntegerField()
