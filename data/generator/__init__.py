"""The program that rendered plaza: people who never existed, in places that were never built."""
