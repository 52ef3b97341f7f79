"""What does the scheduler cost as workers, tasks and their graphs grow, and what do many real workers reach?"""
