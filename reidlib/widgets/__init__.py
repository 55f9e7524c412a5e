"""Interactive panels, one file a lesson; each is a thin layer over one function in `plots`."""
