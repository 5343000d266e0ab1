"""HTTP/1.1: sockets, connections, requests, routes, answers as bytes."""
