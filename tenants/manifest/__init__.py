"""Workspaces as a YAML file: read with positions, checked, planned against what exists, applied in one transaction, and
written back by export. Text comes in at `reading`, leaves as specs from `schema`, and only `applying` calls services.
"""
