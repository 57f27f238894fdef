"""Shapes on a page, and how they are written as SVG, PDF, PNG and DOT. It knows no network."""
