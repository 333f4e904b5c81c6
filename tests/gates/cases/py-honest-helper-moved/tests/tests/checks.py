from more_checks import is_sum

__all__ = ['is_sum']
