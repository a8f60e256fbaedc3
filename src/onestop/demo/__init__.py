"""The demo world: invented people, thirteen departments with systems of their own, a tour. Not for production."""
