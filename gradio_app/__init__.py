"""The app: a page for the credit officer and a JSON API beside it; knows the library, and no flow."""
