from django.test import TestCase
from django.urls import reverse

from shop.models import Item


class CountTest(TestCase):
    @classmethod
    def setUpTestData(cls):
        Item.objects.create(price=2)

    def test_one(self):
        self.assertEqual(self.client.get(reverse("count")).content, b"1")

    def test_two(self):
        Item.objects.create(price=3)
        self.assertEqual(self.client.get(reverse('count')).content, b'2')
