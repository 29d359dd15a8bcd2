/**
 * Enhanced status codes in plain words (RFC 3463 §3, and the IANA registry for what came later):
 * why it happened, and what the sender can do.
 *
 * This file must not know how a notification is laid out.
 */

/** Why a delivery has its status, and what its sender can do about it. */
export interface StatusWords {
  readonly why: string;
  readonly advice: string;
}

const CHECK_ADDRESS = "Check the spelling of the address, then send the message again.";
const TELL_OWNER =
  "You wrote to the right address, but it sends mail on to one that is wrong: tell its " +
  "owner in another way.";
const ASK_RECIPIENT = "Reach the recipient in another way, or try again later.";
const ASK_THEIR_ADMIN =
  "The administrator of the recipient's mail system can tell more; give them the words above.";
const ASK_POSTMASTER = "If this goes on, ask your postmaster and give them this report.";
const WITHOUT_DEMAND = "Send it without that demand, or reach the recipient in another way.";
const CHANGE_MESSAGE = "Change the message as described, then send it again.";

/** By `subject.detail`; what is not here falls back to its subject. */
const DETAILS: Readonly<Record<string, StatusWords>> = {
  "1.1": { why: "There is no such mailbox.", advice: CHECK_ADDRESS },
  "1.2": { why: "There is no such domain, or it takes no mail.", advice: CHECK_ADDRESS },
  "1.3": { why: "The address is not well formed.", advice: CHECK_ADDRESS },
  "1.4": { why: "The address matches more than one mailbox.", advice: CHECK_ADDRESS },
  "1.6": { why: "The mailbox has moved.", advice: "Find out the recipient's new address." },
  "1.7": { why: "The sender's address was refused as not well formed.", advice: ASK_POSTMASTER },
  "1.8": {
    why: "The sender's address was refused: its domain cannot be used.",
    advice: ASK_POSTMASTER,
  },
  "1.10": { why: "The domain says that it takes no mail at all.", advice: CHECK_ADDRESS },
  "2.1": { why: "The mailbox is disabled.", advice: ASK_RECIPIENT },
  "2.2": { why: "The mailbox is full.", advice: ASK_RECIPIENT },
  "2.3": {
    why: "The message is larger than the mailbox accepts.",
    advice: "Make it smaller, for example by sending a link instead of a file.",
  },
  "2.4": { why: "The mailing list could not be expanded.", advice: ASK_THEIR_ADMIN },
  "3.1": { why: "The recipient's mail system is out of space.", advice: ASK_RECIPIENT },
  "3.3": {
    why: "The recipient's mail system cannot do what the message demands, such as to keep a time " +
      "for its delivery.",
    advice: WITHOUT_DEMAND,
  },
  "3.4": {
    why: "The message is larger than the recipient's mail system accepts.",
    advice: "Make it smaller, for example by sending a link instead of a file.",
  },
  "4.1": { why: "The recipient's mail system does not answer.", advice: ASK_RECIPIENT },
  "4.2": {
    why: "The connection to the recipient's mail system broke or was refused.",
    advice: ASK_RECIPIENT,
  },
  "4.3": { why: "The domain name system did not answer.", advice: ASK_POSTMASTER },
  "4.4": { why: "No way to the recipient's mail system is known.", advice: CHECK_ADDRESS },
  "4.5": { why: "The recipient's mail system is too busy.", advice: ASK_RECIPIENT },
  "4.6": { why: "The message went round in a loop.", advice: ASK_POSTMASTER },
  "4.7": {
    why: "The message could not be delivered in the time allowed for it.",
    advice: ASK_RECIPIENT,
  },
  "5.3": { why: "The message has too many recipients.", advice: "Send it to fewer at a time." },
  "6.1": { why: "The kind of content is not accepted there.", advice: CHANGE_MESSAGE },
  "6.3": {
    why: "The message needs a conversion that is not possible.",
    advice: "Send it with plain text and plain attachments.",
  },
  "6.7": {
    why: "The message has addresses or header text in international letters, which the " +
      "recipient's mail system does not take.",
    advice: "Use addresses and file names of plain ASCII letters.",
  },
  "7.1": {
    why: "The recipient's mail system refused the message by its rules.",
    advice: ASK_THEIR_ADMIN,
  },
  "7.2": { why: "The sender may not send to this mailing list.", advice: ASK_THEIR_ADMIN },
  "7.8": { why: "The next mail system did not accept our credentials.", advice: ASK_POSTMASTER },
  "7.20": { why: "The message has no valid DKIM signature.", advice: ASK_POSTMASTER },
  "7.23": {
    why: "The SPF record of the sender's domain does not allow the sending host.",
    advice: ASK_POSTMASTER,
  },
  "7.25": { why: "The sending host has no valid name in DNS.", advice: ASK_POSTMASTER },
  "7.26": { why: "The message failed authentication checks.", advice: ASK_POSTMASTER },
  "7.27": {
    why: "The sender's domain says that it takes no mail, so nobody could answer.",
    advice: ASK_POSTMASTER,
  },
  "7.28": { why: "More mail was sent than is allowed.", advice: "Wait, then send less at a time." },
  "7.30": {
    why: "The message demands a protected (TLS) connection, which was not to be had.",
    advice: WITHOUT_DEMAND,
  },
};

/** By subject. */
const SUBJECTS: Readonly<Record<string, StatusWords>> = {
  "1": { why: "There is a problem with the address.", advice: CHECK_ADDRESS },
  "2": { why: "There is a problem with the mailbox.", advice: ASK_RECIPIENT },
  "3": { why: "The recipient's mail system has a problem.", advice: ASK_RECIPIENT },
  "4": {
    why: "There is a problem on the way to the recipient's mail system.",
    advice: ASK_RECIPIENT,
  },
  "5": { why: "The mail systems did not understand each other.", advice: ASK_POSTMASTER },
  "6": { why: "There is a problem with the content of the message.", advice: CHANGE_MESSAGE },
  "7": {
    why: "The message was refused for reasons of security or policy.",
    advice: ASK_THEIR_ADMIN,
  },
};

/** For a code that says nothing, where the words that came with it follow. */
const REFUSED: StatusWords = {
  why: "The recipient's mail system refused the message.",
  advice: ASK_THEIR_ADMIN,
};
const REFUSED_SO_FAR: StatusWords = {
  why: "The recipient's mail system has not taken the message so far.",
  advice: ASK_THEIR_ADMIN,
};

const UNKNOWN: StatusWords = { why: "The reason was not given.", advice: ASK_RECIPIENT };

/**
 * The words for an enhanced status code such as `5.1.1`. `saysMore`: other words follow them;
 * `isSentOn`: it is about an address that the sender did not write to.
 */
export function statusWords(
  status: string,
  { saysMore, isSentOn }: { readonly saysMore: boolean; readonly isSentOn: boolean },
): StatusWords {
  const [level, subject = "0", detail = "0"] = status.split(".");
  const known = DETAILS[`${subject}.${detail}`] ?? SUBJECTS[subject];
  if (isSentOn && known?.advice === CHECK_ADDRESS) return { ...known, advice: TELL_OWNER };
  if (known !== undefined) return known;
  if (!saysMore) return UNKNOWN;
  return level === "4" ? REFUSED_SO_FAR : REFUSED;
}
