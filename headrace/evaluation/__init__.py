"""`headrace evaluate`: anybody's log through the product's own features and ranker, predicted before it is learnt."""
