"""`gembench tune`: the hyper-parameters of a policy, chosen on some races and tested once on others."""
