from django.test import TestCase
from django.urls import reverse

from shop.counting import count
from shop.models import Item


class TotalTest(TestCase):
    def test_nothing(self):
        self.assertEqual(self.client.get(reverse("total")).content, b"0")

    def test_two(self):
        Item.objects.create(price=2)
        Item.objects.create(price=3)
        self.assertEqual(self.client.get(reverse("total")).content, b"5")

    def test_count(self):
        self.assertEqual(count([1]), 1)
