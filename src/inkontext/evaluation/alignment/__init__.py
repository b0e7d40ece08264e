"""Did the picture move, and was the rest left alone?"""
