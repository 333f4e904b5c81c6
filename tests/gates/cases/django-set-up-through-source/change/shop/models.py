from django.db import models


class Item(models.Model):
    id = models.AutoField(primary_key=True)
    price = models.IntegerField()
    name = models.CharField(max_length=20, default="")

    def __str__(self):
        return self.name
