"""How does a project begin? Its first files, as they are shipped, in a folder that lacks them."""
