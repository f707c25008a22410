"""One applicant or a whole book in, probability of default and decision out; knows no training."""
