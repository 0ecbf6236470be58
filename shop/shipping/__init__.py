"""Freight and parcels."""
