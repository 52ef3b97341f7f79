"""How is each system started for two workers of one core, and given calls, as its own documentation says?"""
