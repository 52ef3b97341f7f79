"""How fast is the same work on what users would pick instead, in the same run?"""
