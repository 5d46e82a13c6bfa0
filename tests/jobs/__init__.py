"""Tests of long work as rows."""
