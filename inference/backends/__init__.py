"""Engines behind the interface in ``inference.engine``; imported only when one is loaded."""
