"""The Django project and the home of every data-plane app."""
