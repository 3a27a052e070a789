//! What a connection does against small buffers: the four mechanisms of Raiciu et al., "How Hard Can
//! It Be? Designing and Implementing a Deployable Multipath TCP", NSDI 2012, §4.2.
