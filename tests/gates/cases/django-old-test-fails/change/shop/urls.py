from django.http import HttpResponse
from django.urls import path

from shop.models import Item


def total(request):
    return HttpResponse(str(max(item.price for item in Item.objects.all() or [Item(price=0)])))


def count(request):
    return HttpResponse(str(Item.objects.count()))


urlpatterns = [path("total/", total, name="total"), path("count/", count, name="count")]
