"""Enlarging over HTTP: a REST API and a page, with the network in processes of its own."""
