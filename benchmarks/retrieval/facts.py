"""What the house of the benchmark knows: facts, each with the question somebody would ask.

Written for this benchmark. The questions avoid the words of the facts where a person would.
"""

# One fact a line, however long, reads as the table it is.
# ruff: noqa: E501
# fmt: off

# Handbook: document -> (fact, question).
HANDBOOK: dict[str, list[tuple[str, str]]] = {
    "Travel and expenses": [
        ("Receipts must reach accounting within thirty days of the journey, or they are not repaid.", "How long do I have to hand in my bills after a business trip?"),
        ("Rail is booked in second class below three hours and in first class above.", "May I sit in the better carriage on a long train ride?"),
        ("Meals are settled by a flat sum of 38 euros for each full day away from home.", "What is the daily food allowance when I am on the road?"),
        ("Private cars are compensated with 42 cents for each kilometre driven.", "What do I get for using my own vehicle for work?"),
    ],
    "Leave and absence": [
        ("Every employee has twenty-eight days of paid holiday in a calendar year.", "How much vacation do we have?"),
        ("Days not taken lapse on 31 March of the following year.", "Until when can I carry over unused time off?"),
        ("A doctor's note is needed from the third day of illness.", "When do I have to bring a medical certificate?"),
        ("Whoever marries is given two days off on top.", "Do I get free time for my wedding?"),
    ],
    "Becoming a parent": [
        ("Fathers and co-mothers may stay at home for eight weeks with full pay.", "Is there paternity time and is it paid?"),
        ("The return may begin with half of the hours for up to a year.", "Can I come back part-time after the baby is born?"),
        ("The company nursery takes children from their sixth month.", "From what age does the crèche accept kids?"),
        ("A room for nursing mothers is on the second floor beside the library.", "Where can I breastfeed or pump in private?"),
    ],
    "Safety at work": [
        ("In case of fire everyone gathers at the flagpole beyond the car park.", "Where do we meet when the alarm rings and the building is evacuated?"),
        ("Eye protection is worn wherever the yellow line is crossed.", "Do I need goggles on the shop floor?"),
        ("The defibrillator hangs next to the reception desk.", "Someone's heart stopped, where is the device to restart it?"),
        ("Whoever works on a ladder is watched by a second person.", "May I climb up alone to change a lamp?"),
    ],
    "Computers and passwords": [
        ("A passphrase has at least sixteen characters and never expires.", "How often must I change my login secret?"),
        ("A laptop that is lost is reported to the service desk within an hour so that it can be wiped.", "My notebook was stolen, what now?"),
        ("Software is installed from the catalogue only; nobody has administrator rights.", "How can I put a new program on my machine?"),
        ("Guests use the network named Lighthouse, whose key changes every Monday.", "Which wifi can a visitor join?"),
    ],
    "Buying things": [
        ("Orders above 5,000 euros need three offers in writing.", "When do I have to compare several suppliers?"),
        ("The head of a department signs up to 20,000 euros; beyond, the board does.", "Who approves a big purchase?"),
        ("Invoices are paid on the last Friday of the month.", "When do vendors receive their money?"),
        ("Gifts from suppliers worth more than 25 euros are sent back.", "Can I keep the present a salesman gave me?"),
    ],
    "The canteen": [
        ("Warm food is served between half past eleven and two.", "What are the lunch hours?"),
        ("A meal without animal products is offered every day.", "Is there anything for vegans?"),
        ("Cups taken to the desk are brought back by the evening, or a euro is charged.", "Do I have to return the coffee mug?"),
        ("Allergens are listed on the screen above the tray return.", "Where can I see whether the dish contains nuts?"),
    ],
    "Getting here": [
        ("The tram number 7 stops in front of the main gate every twelve minutes.", "How do I reach the office by public transport?"),
        ("Bicycles may be kept in the cellar; the code of its door is given by reception.", "Is there a place to lock up my bike?"),
        ("Electric cars are charged free of cost on level minus two.", "Where can I plug in my EV?"),
        ("A parking permit costs 30 euros a month and is refused to those who live within five kilometres.", "Why was I denied a spot for my car?"),
    ],
    "Pay": [
        ("Salaries arrive on the 25th of each month.", "When is payday?"),
        ("Overtime is settled with a supplement of a quarter on weekdays and one half on Sundays.", "Do extra hours at the weekend pay more?"),
        ("The thirteenth salary is paid in November in proportion to the months worked.", "Is there a Christmas bonus?"),
        ("The company adds five percent to whatever is put into the pension fund.", "Does my employer contribute to my retirement savings?"),
    ],
    "Joining and leaving": [
        ("The first six months are a trial in which either side may end the contract within two weeks.", "How long is the probation period?"),
        ("After five years of service the notice period grows to three months.", "I have been here for ages, how early must I announce that I quit?"),
        ("Each newcomer is given a companion from another team for the first ninety days.", "Will somebody show me around when I start?"),
        ("Badges and keys are handed to the gatekeeper on the last day.", "What do I give back when I go for good?"),
    ],
    "Customers and refunds": [
        ("Goods may come back within fourteen days of delivery without any reason.", "Can I return something because I simply do not like it?"),
        ("The money is sent the way it came, at the latest ten days after the parcel has reached us.", "When will I see my refund?"),
        ("Orders that leave after four in the afternoon travel the next working day.", "Will it be shipped today if I buy it this evening?"),
        ("Deliveries above 80 euros are free of postage.", "How much must I spend to avoid shipping costs?"),
    ],
    "Data and privacy": [
        ("Applications are deleted half a year after the decision.", "How long do you store my CV if I was rejected?"),
        ("Pictures of the entrance cameras are overwritten after 72 hours.", "How quickly does the surveillance footage vanish?"),
        ("Requests of persons about what is known of them are answered within four weeks by the data officer.", "I want to see all information you hold on me, how long will that take?"),
        ("Backups lie encrypted in two countries and are tried each quarter.", "How often do you check that copies can be restored?"),
    ],
    "Working elsewhere": [
        ("Up to three days a week may be spent at home after the trial period.", "How many days can I do remote?"),
        ("From abroad one may work for at most twenty days a year, and only inside the European Union.", "May I log in from my holiday flat in Spain?"),
        ("The company pays a chair and a screen, once, up to 600 euros.", "Will you fund furniture for my home desk?"),
        ("Between ten and three o'clock everybody can be reached.", "Are there core hours when I have to be available?"),
    ],
    "Learning": [
        ("Each person has five days and 1,500 euros a year for courses.", "What is the training budget?"),
        ("Language lessons take place on Tuesdays before work and cost nothing.", "Can I learn Spanish here for free?"),
        ("Who leaves within a year of an expensive course repays half of it.", "Do I owe anything if I resign after a certification?"),
        ("The library lends devices and books for four weeks.", "How long may I borrow a tablet?"),
    ],
    "Meeting rooms": [
        ("A room not entered within fifteen minutes is given to others.", "My booking disappeared because we were late, why?"),
        ("The hall on the fifth floor seats one hundred and twenty and is reserved through the front office.", "Where can we hold an event with all staff?"),
        ("Windows in the north wing cannot be opened; fresh air comes by pressing the green key.", "It is stuffy in here, what can I do?"),
        ("Food may be brought into every room but the studio.", "Are snacks forbidden anywhere?"),
    ],
    "Environment": [
        ("Heating stops at nineteen degrees and cooling begins at twenty-seven.", "Why is it so chilly at my desk?"),
        ("Batteries are collected in the red tube beside the lifts.", "Where do I throw dead cells?"),
        ("Rain from the roof waters the garden and flushes the toilets.", "What is done with the water that falls on the building?"),
        ("By 2031 the works are to run without fossil fuel.", "When will you be carbon neutral?"),
    ],
    "Press and speaking": [
        ("Journalists are referred to the speaker; nobody else comments.", "A newspaper called me, what may I say?"),
        ("Talks at conferences are shown to the legal team two weeks ahead.", "Who must check my slides before I present in public?"),
        ("The logo stands on white and keeps the height of its letter N free on all sides.", "How much space do I leave around the brand mark?"),
        ("On private accounts staff say that they speak for themselves.", "What must I add when I post about the firm online?"),
    ],
    "Complaints and trust": [
        ("Concerns can be raised without a name through the blue letterbox or an outside lawyer.", "How can I report wrongdoing anonymously?"),
        ("Nobody suffers for a report made in good faith.", "Could I be punished for blowing the whistle?"),
        ("Quarrels that a team cannot settle are heard by two mediators elected every second year.", "Who helps when colleagues cannot get along?"),
        ("An answer is given within seven days, a result within ninety.", "How fast will my grievance be dealt with?"),
    ],
}

# Documents in other languages: (language, title) -> (fact, question in a language).
FOREIGN: dict[tuple[str, str], list[tuple[str, str]]] = {
    ("de", "Hausordnung"): [
        ("Nach zweiundzwanzig Uhr ist im ganzen Haus Ruhe zu halten.", "Ab wann muss man leise sein?"),
        ("Haustiere sind nach Absprache mit der Verwaltung erlaubt.", "Darf ich einen Hund halten?"),
        ("Der Waschkeller wird über die Liste am schwarzen Brett vergeben.", "Wo trage ich mich für die Waschmaschine ein?"),
    ],
    ("de", "Lieferung"): [
        ("Sperrige Ware bringt eine Spedition bis zur Bordsteinkante.", "Werden große Möbel bis in die Wohnung getragen?"),
        ("Der Versand in die Schweiz kostet 19 Euro Aufschlag.", "Was kostet eine Sendung nach Zürich zusätzlich?"),
        ("Beschädigte Pakete sind binnen drei Tagen mit Foto zu melden.", "Mein Karton kam kaputt an, was soll ich tun?"),
    ],
    ("de", "Wartung der Anlage"): [
        ("Der Filter 88-KX ist alle sechs Monate zu wechseln.", "88-KX wechseln"),
        ("Vor dem Öffnen ist der Hauptschalter auf Null zu drehen.", "Muss ich den Strom abstellen, bevor ich die Haube abnehme?"),
        ("Das Kühlmittel darf nur von Fachleuten nachgefüllt werden.", "Kann ich selbst Kühlflüssigkeit nachgießen?"),
    ],
    ("fr", "Règlement de la piscine"): [
        ("Le port du bonnet est obligatoire dans tous les bassins.", "Faut-il couvrir ses cheveux pour nager ?"),
        ("Les enfants de moins de huit ans sont accompagnés par un adulte.", "Mon fils de six ans peut-il venir seul ?"),
        ("La caisse ferme une heure avant le bassin.", "Jusqu'à quand peut-on acheter un billet ?"),
    ],
    ("fr", "Abonnement"): [
        ("La résiliation se fait par lettre recommandée avec un préavis de deux mois.", "Comment mettre fin à mon contrat ?"),
        ("Les étudiants paient la moitié du tarif sur présentation de leur carte.", "Y a-t-il une réduction pour les jeunes à l'université ?"),
        ("Une suspension est possible pendant trois mois par an.", "Puis-je faire une pause sans payer ?"),
    ],
    ("fr", "Garantie du four"): [
        ("La vitre intérieure n'est pas couverte par la garantie.", "Qui paie si le verre de la porte casse ?"),
        ("Le code F-7720 signale une sonde de température défectueuse.", "F-7720"),
        ("Le nettoyage par pyrolyse dure deux heures et quarante minutes.", "Combien de temps prend l'autonettoyage ?"),
    ],
    ("es", "Alquiler de bicicletas"): [
        ("La fianza de cincuenta euros se devuelve al entregar la bicicleta.", "¿Recupero el depósito al final?"),
        ("El casco está incluido en el precio.", "¿Tengo que traer protección para la cabeza?"),
        ("Un pinchazo lo paga el cliente, doce euros cada vez.", "¿Qué pasa si se rompe una rueda?"),
    ],
    ("es", "Biblioteca municipal"): [
        ("Cada retraso se castiga con un día sin préstamo por cada día pasado.", "¿Hay multa si devuelvo un libro tarde?"),
        ("La sala de estudio abre también los domingos por la mañana.", "¿Puedo estudiar allí el fin de semana?"),
        ("El carné se pide con un documento de identidad y una foto.", "¿Qué necesito para hacerme socio?"),
    ],
    ("zh", "宿舍规定"): [
        ("晚上十一点以后大门关闭，需要刷卡进入。", "半夜回来怎么进门？"),
        ("每个房间每月有一百度免费用电。", "用电有免费额度吗？"),
        ("访客必须在前台登记并在十点前离开。", "朋友可以来过夜吗？"),
    ],
    ("zh", "退货政策"): [
        ("生鲜商品不支持七天无理由退货。", "买的水果可以退吗？"),
        ("退款会在收到货物后五个工作日内原路返回。", "退货的钱什么时候到账？"),
        ("运费由买家承担，质量问题除外。", "退货的邮费谁付？"),
    ],
    ("en", "Questions from abroad"): [
        ("Visitors may bring one guest to the sauna on Thursdays.", "An welchem Tag darf man jemanden in die Sauna mitnehmen?"),
        ("The museum is closed on Mondays and on the first of January.", "¿Qué día cierra el museo?"),
        ("Dogs must be kept on a leash in the palace garden.", "Les chiens doivent-ils être attachés dans le jardin du palais ?"),
    ],
    ("en", "Words across borders"): [
        ("The swimming pool opens at six in the morning.", "Um wie viel Uhr öffnet das Schwimmbad?"),
        ("Tickets for the ferry are sold on board.", "¿Dónde se compran los billetes del ferry?"),
        ("Breakfast is included in the price of the room.", "Le petit-déjeuner est-il compris dans le prix de la chambre ?"),
    ],
}

# Reference of a system: document -> (fact, question); what is asked is mostly a name.
REFERENCE: dict[str, list[tuple[str, str]]] = {
    "Gateway settings": [
        ("GATEWAY_MAX_INFLIGHT limits the requests in progress for one tenant; its default is 64.", "GATEWAY_MAX_INFLIGHT default"),
        ("GATEWAY_MAX_INLINE sets how many kilobytes of a body are kept in memory; its default is 48.", "what does GATEWAY_MAX_INLINE do"),
        ("GATEWAY_TRUST_PROXY takes a list of networks whose forwarded addresses are believed.", "How do I make the server believe X-Forwarded-For from my load balancer?"),
    ],
    "Ledger functions": [
        ("post_entry(account, amount) raises LedgerClosed when the month has been sealed.", "LedgerClosed"),
        ("reverse_entry(entry_id) books the opposite sum and links both.", "How can I undo a booking in code?"),
        ("seal_month(year, month) refuses when a draft is left.", "seal_month refuses"),
    ],
    "Mailer errors": [
        ("MX-5101 says that the receiving server has put us on a grey list; wait and send again.", "MX-5101"),
        ("MX-5110 says that the signature of the sender's domain does not match.", "MX-5110"),
        ("MX-5011 says that the message has more than 25 megabytes.", "MX-5011"),
    ],
    "Database runbook": [
        ("When replication lags more than 90 seconds, stop the nightly export first.", "The standby falls behind, what do I switch off?"),
        ("The job vacuum-ledger runs at 03:40 and must not meet the backup.", "vacuum-ledger"),
        ("The alarm DISK_WATERMARK_2 means less than eight percent are free.", "DISK_WATERMARK_2"),
    ],
    "Release notes 4.2": [
        ("4.2.7 mends a crash when a calendar has no time zone (issue NB-3391).", "NB-3391"),
        ("4.2.6 drops support for Python 3.8.", "Which version no longer runs on old interpreters?"),
        ("4.2.5 makes export three times as quick by streaming rows (issue NB-3319).", "NB-3319"),
    ],
    "Release notes 4.3": [
        ("4.3.1 adds dark colours to the page of reports (issue NB-3913).", "NB-3913"),
        ("4.3.0 lets administrators see who looked at a record.", "Since when is there an audit trail of reads?"),
        ("4.3.2 takes back the change of NB-3391 on Windows.", "4.3.2"),
    ],
    "Command line": [
        ("nb sync --prune removes rows at the target that the source no longer has.", "nb sync --prune"),
        ("nb sync --pretend shows what would be done and does nothing.", "Is there a dry run for syncing?"),
        ("nb keys rotate makes a new signing key and keeps the old one valid for a day.", "nb keys rotate"),
    ],
    "Interfaces": [
        ("The field retryAfterMs in an answer says how long a client shall be silent.", "retryAfterMs"),
        ("A cursor is valid for fifteen minutes; later the list begins anew.", "Why did my pagination token stop working?"),
        ("Requests carrying the same Idempotency-Key within a day give the first answer again.", "How do I avoid charging twice when I retry a call?"),
    ],
}

# What stands between facts in every document, to be found by mistake.
FILLER = [
    "This page is looked after by {owner} and was last read through in {month}.",
    "Questions are answered by {owner}, as a rule on the same working day.",
    "The rules below hold for all sites unless a local agreement says something else.",
    "Earlier versions of this text can be asked for, and the changes are marked at the margin.",
    "Examples are given for illustration and do not bind anybody.",
    "Where this text and a contract disagree, the contract goes first.",
    "In {month} the matter is looked at again together with the people concerned.",
    "Thank you for reading to the end; a remark about what was unclear is always welcome.",
    "Numbers in this section are rounded and were collected by {owner}.",
    "A short film about the subject can be seen on the inner pages.",
    "Some of what follows was decided after long talks, and the reasons are kept in the archive.",
    "Exceptions are possible, must be written down, and end after one year.",
    "The list is not complete and grows with what is asked most often.",
    "Whoever finds a mistake tells {owner}, who mends it by the end of the week.",
    "The following paragraph is for those who are new; others may pass over it.",
    "Translations are made with care, but only this version counts.",
    "Since {month} the old forms are no longer taken.",
    "Bring patience in the busy weeks around the end of the year.",
    "Please note the opening hours of {owner} before you come by.",
    "Further details stand in the appendix, which is sent on request.",
]
OWNERS = ["the front office", "Mrs Okafor", "the works council", "Mr Lindqvist", "the service desk", "the northern branch"]
MONTHS = ["January", "March", "May", "July", "September", "November"]
