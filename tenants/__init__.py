"""The control plane: who owns what and how it is set up. Services write, querysets read; the data plane reads here."""
