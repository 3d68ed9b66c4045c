"""What starts Homeostat and the real servers around it: set-up, demo, images."""
