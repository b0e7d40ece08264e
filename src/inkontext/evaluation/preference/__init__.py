"""A blind pairwise study: plan, page, votes, ratings."""
