from django.test import TestCase
from django.urls import reverse

from shop.models import Item


class TotalTest(TestCase):
    def test_two(self):
        Item.objects.create(price=2)
        Item.objects.create(price=3)
        self.assertEqual(self.client.get(reverse("total")).content, b"5")
