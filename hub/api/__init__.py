"""The shell of the management API: how errors are told, who may ask. Rooms above and declarations below fill it."""
