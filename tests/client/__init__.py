"""Does the client keep its users' promises: declaring, submitting, and futures that always resolve?"""
