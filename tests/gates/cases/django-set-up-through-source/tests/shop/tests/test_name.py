from django.test import TestCase

from shop.models import Item


class NameTest(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.item = Item.objects.create(price=2, name="tea")

    def test_name(self):
        self.assertEqual(str(self.item), "tea")
