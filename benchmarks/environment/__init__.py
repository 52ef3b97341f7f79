"""How soon is a real environment, of about 1 GB in 24,000 files, ready on workers that have never seen it?"""
