"""What foobar-api answers in a second, beside whoami and beside gunicorn as it comes."""
