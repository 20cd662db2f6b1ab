"""Reading and executing the book's pages."""
