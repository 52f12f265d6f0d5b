namespace ColossalChat.Transfer;

/// <summary>A rank in another process threw something; the message says which rank and what.</summary>
public sealed class RankFailedException(string message) : Exception(message);
