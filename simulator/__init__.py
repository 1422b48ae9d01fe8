"""Faulty and malicious nodes: the production core with something in front of it that misbehaves."""
