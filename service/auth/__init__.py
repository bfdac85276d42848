"""Who is asking: one answer for every door, before anything of a request is believed."""
